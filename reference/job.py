"""What the example system on a chip runs: the images of a compiled model, as job.h has them beside model.h."""

from collections.abc import Sequence

import numpy as np

from skipgrid.host.network import ModelError

from .compiled import Compiled
from .compiled_files import model_header

JOB = """\
/* The images that the firmware runs, and what is to be said of them. Written by `skipgrid soc`. */
#pragma once
#include "model.h"

#define JOB_IMAGES {images}u
#define JOB_PACKETS {first}[0].packets /* the model's */
#define JOB_PACKETS_COUNT {first}[0].packets_count
#define JOB_ELEMENTS {elements}u /* of the output */
#define JOB_POSITIVE_MAX {positive_max} /* coded bytes above it stand for negative activations: byte - 256 */
#define JOB_OUTPUT_WORDS {output_words}u /* of the longest output there can be */

struct job {{
  const struct skipgrid_start *start;
  int32_t label; /* -1: not known */
}};

static const struct job job[JOB_IMAGES] = {{
  {lines}
}};
"""
TOKEN_BITS = 16  # of a byte that is not zero and has no zeros before it, with k = 7
LARGEST = {"uint8": 255, "int8": 127}


def job_files(compiled: Compiled, labels: Sequence[int] | None) -> dict[str, bytes]:
    """job.h and model.h. ModelError, with what to do, if not all of the model runs on the accelerator, from one start an image."""
    name = compiled.manifest["model"]
    if compiled.parts:
        nodes = ", ".join(dict.fromkeys(node["operator"] for part in compiled.parts for node in part["nodes"]))
        raise ModelError(f"the system on a chip has no host, on which some of {name} would run ({nodes}); `skipgrid check` says why")
    starts = max(_starts(compiled, image) for image in range(compiled.manifest["images"]))
    segment = compiled.segments[0]
    if starts > 1 or segment["program"] is None:
        raise ModelError(
            f"{name} takes {starts} starts an image on {compiled.plan.config.name}, and the system on a chip runs models that take one;"
            " choose an accelerator with larger memories, by another preset or with --set"
        )
    if segment["registers"]:
        raise ModelError(f"{name} has experts, whose router the firmware of the system on a chip does not set")
    end, elements = segment["gives"], int(np.prod(segment["gives"]["shape"]))
    of = [f"{segment['name']}_image_{number}" for number in range(compiled.manifest["images"])]
    known = [-1] * len(of) if labels is None else [int(label) for label in labels]
    job = JOB.format(
        images=len(of),
        first=of[0],
        elements=elements,
        positive_max=LARGEST[end["type"]] - end["zero_point"],
        output_words=-(-elements * TOKEN_BITS // 32),
        lines=",\n  ".join(f"{{{image}, {label}}}" for image, label in zip(of, known, strict=True)),
    )
    return {"job.h": job.encode(), "model.h": model_header(compiled).encode()}


def _starts(compiled: Compiled, image: int) -> int:
    """How often the accelerator is started for an image."""
    return sum(len(stage["starts"]) for segment in compiled.segments for stage in segment["images"][image])
