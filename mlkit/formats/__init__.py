"""Readers and writers of plain files, and nothing else.

>>> from mlkit.formats.streams import read_lines
>>> from mlkit.formats.table_files import read_table
>>> len(list(read_lines("test.txt"))), read_table("test.csv").names
(100, ['age', 'city', 'hours', 'income'])
"""
