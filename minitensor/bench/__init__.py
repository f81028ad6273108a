"""Measuring: the ladder of kernels, and minitensor beside other libraries. The programs of the folder bench/, and the
command `minitensor bench`, run what is here.

`cases`, `models`, `clock`, `peers` and `serve` import nothing of minitensor: a Python without it runs them for its
library.
"""
