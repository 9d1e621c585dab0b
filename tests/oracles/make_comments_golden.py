"""Writes data/comments_golden.json: comment-to-code ratios by the released functions of bigcode-dataset.

    python tests/oracles/make_comments_golden.py path/to/bigcode-dataset     (an interpreter with Pygments)

[language, source, ratio]; the sources are made up here. The functions are get_nl_ratio and what it calls in
preprocessing/utils/text_extraction.py.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

SOURCES = {
    "python": [
        '"""A module\n  with a doc."""\nimport os  # for paths\n\n\nclass A:\n    """Doc of A."""\n\n    def f(self):\n        """Doc of f.\n\n        More.\n        """\n        return 1  # one ## two\n',
        "# only a comment\n",
        "x = 1\ny = '# not a comment'\n",
        "def broken(:\n    # a comment in a file that does not parse\n    pass\n",
        "def f():\n  # not closed\n  return (1,\n",
        "async def g():\n    'not counted: an async function'\n    await h()  # counted\n",
        "@decorated\ndef f():\n    r'''Raw \\d doc.'''\n    pass\n\nclass B: 'one line'\n",
        "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\nprint('ü')  # ümlaut\n",
        "  \n",
        "if x:\n\ty = 1 # tab\n        z = 2 # mixed\n",
    ],
    "java": ["/** Javadoc. */\nclass A {\n  // one\n  int x = 1; /* two\n  lines */\n}\n", "class B { String s = \"// no\"; }\n"],
    "javascript": ["// one\nfunction f() { return 1 } /* two */\nconst s = `// no`;\n", "#!/usr/bin/env node\nlet a = 1\n"],
    "c": ["/* head */\n#include <stdio.h>\nint main() { return 0; } // end\n"],
    "rust": ["//! Crate doc\n/// Item doc\nfn main() { /* inner */ }\n"],
    "go": ["// Package main\npackage main\n/* block */\nfunc main() {}\n"],
    "sql": ["-- count\nSELECT count(*) FROM t; /* all */\n"],
    "html": ["<!-- note --><p>Text</p>\n"],
    "css": ["/* colours */\np { color: red }\n"],
    "ruby": ["# one\nputs 1 # two\n=begin\nblock\n=end\n"],
    "bash": ["#!/bin/bash\n# list\nls -l # end\n"],
    "php": ["<?php\n// one\n# two\n/* three */\necho 1;\n"],
}  # fmt: skip


def main(repo: str) -> None:
    sys.path.insert(0, str(Path(repo) / "preprocessing/utils"))
    from text_extraction import get_nl_ratio

    warnings.simplefilter("ignore")
    rows = [[name, source, get_nl_ratio(source, name)] for name, held in SOURCES.items() for source in held]
    body = ",\n".join(json.dumps(row) for row in rows)
    (Path(__file__).parent / "data/comments_golden.json").write_text(f"[\n{body}\n]\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
