"""Shared parts of the displays. matplotlib is imported when something is drawn."""


def take_axes(display, ax, **figure_options):
    """Set the attributes `ax_` and `figure_` of a display.

    Parameters
    ----------
    display : object
    ax : matplotlib Axes or None
        None creates a new figure.
    **figure_options
        Passed to ``pyplot.subplots``.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    plt = import_pyplot(type(display).__name__)
    if ax is None:
        _, ax = plt.subplots(**figure_options)
    display.ax_ = ax
    display.figure_ = ax.figure
    return ax


def import_pyplot(who):
    """Import pyplot, with an error message that tells how to install matplotlib."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{who}.plot needs matplotlib, which comes with: pip install 'skxmr[plot]'"
        ) from error
    return plt


def name_of(estimator, name):
    """Return the given name, or the name of the estimator's class if it is None."""
    return type(estimator).__name__ if name is None else name


def despine(ax):
    """Remove the top and the right line of the frame."""
    ax.spines[["top", "right"]].set_visible(False)
