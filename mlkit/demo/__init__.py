"""The demonstration: text that every machine has, and the commands to run on it.

>>> from mlkit.demo.samples import sample_files
>>> sorted(sample_files())[:3]
['corpus.txt', 'hyp.txt', 'labelled.txt']
"""
