"""What all displays need of matplotlib, which is imported only once something is drawn."""


def take_axes(display, ax, **figure_options):
    """Give a display its attributes `ax_` and `figure_`, new ones if there is no ax yet.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    plt = import_pyplot(type(display).__name__)
    if ax is None:
        _, ax = plt.subplots(**figure_options)
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def import_pyplot(who):
    """Import pyplot or say what is missing."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{who}.plot needs matplotlib, which comes with: pip install 'skxmr[plot]'"
        ) from error
    return plt


def name_of(estimator, name):
    """Return a name given, or that of the estimator's class."""
    return type(estimator).__name__ if name is None else name


def despine(ax):
    """Take the lines above and at the right away."""
    ax.spines[["top", "right"]].set_visible(False)
