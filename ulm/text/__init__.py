"""From documents to numbers: corpora, subsets, token arrays and vocabularies.

Text enters as a `CorpusSource` and leaves as a memory-mapped `TokenArray`, from which a cell takes
its `Subset`, counts its `Vocabulary` and encodes its `Documents`. Importing these modules needs
numpy only.
"""
