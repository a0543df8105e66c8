"""Saving of models of many kinds as one folder.

A kind says how the models of one class are saved (`kinds`). A model may contain other models: the
folder lists all of them, each after the models that it contains (`writing`, `reading`). Values of
parameters become JSON (`values`). Estimators of unknown classes are saved with skops (`foreign`).
"""
