"""Where nodes are trained: in this process, in processes of this machine, on a cluster."""
