"""The specifications of Ignition that a role's file may be written in."""

import re
from typing import Final

KNOWN_VERSION: Final = re.compile(r"3\.[0-6]\.0")  # 3.6.0 came with Ignition 2.26; OCK 1.33 reads up to 3.4.0
