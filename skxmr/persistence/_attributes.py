"""The fitted state of estimators of scikit-learn, as their attributes."""

import sklearn

#: Names of the fields.
FIELDS = ("attributes", "sklearn")


def pack_attributes(estimator, part, omitted=()):
    """Describe all attributes that are not parameters, which differ between releases.

    Parameters
    ----------
    estimator : estimator
    part : PartWriter
    omitted : collection of str, optional
        Attributes that are not described.

    Returns
    -------
    fields : dict
    """
    omitted = {*estimator.get_params(deep=False), *omitted, "_metadata_request"}
    attributes = {name: value for name, value in vars(estimator).items() if name not in omitted}
    return {"attributes": part.value(attributes, "attributes"), "sklearn": sklearn.__version__}


def unpack_attributes(estimator, part):
    """Set the attributes that `pack_attributes` described."""
    attributes = part.value("attributes")
    if not isinstance(attributes, dict):
        part.fail(f"its attributes are {attributes!r:.80}")
    params = estimator.get_params(deep=False)
    for name in attributes:
        is_attribute = isinstance(name, str) and (name.startswith("_") or name.endswith("_"))
        if not is_attribute or name.startswith("__") or name in params:
            part.fail(f"{name!r:.80} is not an attribute of a {type(estimator).__name__}")
    # Warns if another release of scikit-learn fitted it.
    state = {**params, **attributes, "_sklearn_version": part.get("sklearn", str)}
    estimator.__setstate__(state)
