"""The language server `dsd-lsp`: one feature per file, each a function of a document and the request's parameters.

server.py     the process: command line, messages in and out
documents.py  what the editor has open, and what is computed from it once a version
client.py     what the editor can show and how it counts characters
"""
