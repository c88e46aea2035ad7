"""Detections and targets for tests: squares on a line, and crowded random scenes with an oracle."""

import contextlib
import io
import math

import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

CLASS_NAMES = ("background", "fish", "shark", "turtle")


def squares(*corners, size=10.0):
    return torch.tensor([[c, c, c + size, c + size] for c in corners]).reshape(-1, 4)


def target(boxes, labels):
    return {"boxes": boxes, "labels": torch.tensor(labels, dtype=torch.int64)}


def detection(boxes, labels, scores):
    return target(boxes, labels) | {"scores": torch.tensor(scores, dtype=torch.float32)}


def random_scene(generator, image_size=(180, 320)):
    """Objects of all COCO sizes, found crookedly, twice, under a wrong name, or not at all."""
    height, width = image_size
    num_objects = int(torch.randint(0, 8, (1,), generator=generator))
    corners = torch.rand(num_objects, 2, generator=generator) * torch.tensor([width, height]) / 2
    sizes = 4 + torch.rand(num_objects, 2, generator=generator) ** 2 * 200
    gt_boxes = torch.cat([corners, corners + sizes], dim=1)
    labels = torch.randint(1, 4, (num_objects,), generator=generator)

    num_detections = int(torch.randint(0, 130, (1,), generator=generator)) * (num_objects > 0)
    picks = torch.randint(0, max(num_objects, 1), (num_detections,), generator=generator)
    boxes = gt_boxes[picks] + torch.randn(num_detections, 4, generator=generator) * 3
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    renamed = torch.rand(num_detections, generator=generator) < 0.2
    scores = torch.randint(0, 50, (num_detections,), generator=generator) / 49  # many ties
    return (
        {"boxes": boxes, "labels": torch.where(renamed, 1, labels[picks]), "scores": scores},
        {"boxes": gt_boxes, "labels": labels},
    )


def random_scenes(seed, num_images=30):
    generator = torch.Generator().manual_seed(seed)
    scenes = [random_scene(generator) for _ in range(num_images)]
    return [found for found, _ in scenes], [there for _, there in scenes]


def scene_with_crowds(generator):
    """A random scene whose objects cover less than their boxes, with up to two crowds found in."""
    found, there = random_scene(generator)
    width_height = (there["boxes"][:, 2:] - there["boxes"][:, :2]).prod(dim=1)
    areas = width_height * torch.rand(len(width_height), generator=generator)
    areas[torch.rand(len(areas), generator=generator) < 0.2] = math.nan  # nobody said
    num_crowds = int(torch.randint(0, 3, (1,), generator=generator))
    corners = torch.rand(num_crowds, 2, generator=generator) * torch.tensor([200.0, 100.0])
    sides = 20 + torch.rand(num_crowds, 2, generator=generator) * 150
    crowds = torch.cat([corners, corners + sides], dim=1)
    labels = torch.randint(1, 4, (num_crowds,), generator=generator)

    picks = torch.arange(num_crowds).repeat_interleave(12)
    inner = crowds[picks, :2] + torch.rand(len(picks), 2, generator=generator) * sides[picks]
    boxes = torch.cat([inner, inner + 5 + 60 * torch.rand(len(picks), 2, generator=generator)], 1)
    scores = torch.randint(0, 50, (len(picks),), generator=generator) / 49
    more = {"boxes": boxes, "labels": labels[picks], "scores": scores}
    return (
        {key: torch.cat([found[key], more[key]]) for key in found},
        {**there, "areas": areas, "ignored_boxes": crowds, "ignored_labels": labels},
    )


def scenes_with_crowds(seed, num_images=30):
    generator = torch.Generator().manual_seed(seed)
    scenes = [scene_with_crowds(generator) for _ in range(num_images)]
    return [found for found, _ in scenes], [there for _, there in scenes]


def plain(targets):
    """The same targets, without what evaluation alone uses."""
    return [{key: item[key] for key in ("boxes", "labels")} for item in targets]


def pycocotools_evaluation(detections, targets, num_classes=4):
    """The field's own program, from the same lists of dicts."""

    def objects(item):
        scores = item.get("scores", item["labels"])
        nowhere = torch.full((len(scores),), math.nan)
        columns = item["boxes"], item["labels"], scores, item.get("areas", nowhere)
        for box, label, score, area in zip(*columns, strict=True):
            yield *box.double().tolist(), int(label), float(score), float(area), 0
        crowds = item.get("ignored_boxes", torch.zeros(0, 4)), item.get("ignored_labels", [])
        for box, label in zip(*crowds, strict=True):
            yield *box.double().tolist(), int(label), 1.0, math.nan, 1

    def records(items):
        rows = [(image, *row) for image, item in enumerate(items) for row in objects(item)]
        return [
            {
                "image_id": image,
                "category_id": label,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
                "id": row,
                "area": (x2 - x1) * (y2 - y1) if math.isnan(area) else area,
                "iscrowd": crowd,
            }
            for row, (image, x1, y1, x2, y2, label, score, area, crowd) in enumerate(rows, start=1)
        ]

    def index(items):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image} for image in range(len(items))],
            "categories": [{"id": label} for label in range(1, num_classes)],
            "annotations": records(items),
        }
        coco.createIndex()
        return coco

    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(index(targets), index(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation
