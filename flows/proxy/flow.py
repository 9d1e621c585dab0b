"""The laboratory as a Prefect flow: the same `perform`, on a worker. Loaded by workers only.

One flow a command. The run record, trials and checkpoints are those of an inline run, so a command may start in one place
and be finished in another that shares the home's `models` folder.
"""

from __future__ import annotations

import os
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled as CancelledState

from catalog.catalog import Catalog
from catalog.runs import Cancelled
from flows.proxy.work import check_marks, perform


@flow(name="strata-trial", log_prints=False, validate_parameters=True)
def trial_flow(method: str, body: dict[str, Any], marks: dict[str, str] | None = None, place: str = "team") -> Any:
    """Train in the worker's own catalog (STRATA_HOME, STRATA_DATABASE_URL, STRATA_TABLES_URI).

    method and body as in `flows.proxy.work.perform`; marks: refuse to run where mixes and datasets are others.
    """
    logger = get_run_logger()
    cat = Catalog.open()
    check_marks(cat, body, marks or {})
    os.environ["STRATA_FLOW_RUN"] = str(flow_run.id)
    try:
        perform(cat, method, body, place=place, say=logger.info)
    except Cancelled as error:
        logger.warning(str(error))
        return CancelledState(message=str(error))
    finally:
        os.environ.pop("STRATA_FLOW_RUN", None)
    return None
