"""From the tree to resolved phases: :data:`dsd_lang.passes.pipeline.PASSES`, one function a file, in their order."""
