"""Sessions in the trainers of other packages: Lightning, and Hugging Face Transformers.

Each module is imported by name, and needs the extra of its name: `pip install 'dsd-lang[lightning]'`.
"""
