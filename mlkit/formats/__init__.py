"""Readers and writers of plain files, and nothing else."""
