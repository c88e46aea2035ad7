"""Detections and targets for tests: squares on a line, and crowded random scenes with an oracle."""

import contextlib
import io

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


def pycocotools_evaluation(detections, targets, num_classes=4):
    """The field's own program, from the same lists of dicts."""

    def records(items):
        rows = [
            (image, *box.double().tolist(), int(label), float(score))
            for image, item in enumerate(items)
            for box, label, score in zip(
                item["boxes"], item["labels"], item.get("scores", item["labels"]), strict=True
            )
        ]
        return [
            {
                "image_id": image,
                "category_id": label,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
                "id": row,
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            for row, (image, x1, y1, x2, y2, label, score) in enumerate(rows, start=1)
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
