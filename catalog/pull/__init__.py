"""Pull: turn a lock and a global index into rows, the same for any number of ranks and workers."""
