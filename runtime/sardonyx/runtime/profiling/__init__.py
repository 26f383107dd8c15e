"""Where a model's time goes: by operator, and by module path of the user's own model.

``Session.profile`` makes a profile; these are the types of what it says.
"""

from .comparison import ProfileComparison
from .report import NodeTime, Profile, Total

__all__ = ["NodeTime", "Profile", "ProfileComparison", "Total"]
