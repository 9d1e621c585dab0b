"""File formats that `strata pull --export` writes; each module holds one, declared by `@exporter`."""
