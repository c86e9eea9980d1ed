"""From the tree to resolved phases: :data:`dsd_lang.passes.pipeline.PASSES`, one function per file, in order."""
