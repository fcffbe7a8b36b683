"""Stacking: out-of-fold predictions of several models feed a final one."""

from mlkit.stacking.stack import MEMBERS, StackModel, StackSettings, load_stack, train_stack

__all__ = ["MEMBERS", "StackModel", "StackSettings", "load_stack", "train_stack"]
