"""What SAM makes of the template on stdin, without AWS: the plain CloudFormation template as JSON, as ministack would make it
at each start."""

import json
import logging
import sys
from types import SimpleNamespace

from samtranslator.translator.transform import transform

logging.disable(logging.CRITICAL)
# SAM asks AWS for the names of managed policies. We name none.
plain = transform(json.load(sys.stdin), {}, SimpleNamespace(load=dict))
plain.pop("Transform", None)
json.dump(plain, sys.stdout, default=str)
