"""What every encoder of the zoo promises, at the sizes that strain comes in."""

from __future__ import annotations

import pytest
import torch

from gwbench.contracts import Encoder, InputShape
from gwbench.errors import UserError
from gwbench.registry import REGISTRY
from plugins.encoders.cqt2d import Cqt2d
from plugins.encoders.inceptiontime import InceptionTime
from plugins.encoders.patch_transformer import PatchTransformer
from plugins.encoders.resnet1d import ResNet1d
from plugins.encoders.s4d import S4d
