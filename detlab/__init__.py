"""From a picture to boxes, one idea a file, in the order of the story.

types        names for what travels: Target, Detection, Predictions
boxes        geometry: formats, area, IoU, GIoU, clip
images       pictures of any size to one batch
anchors      a grid of guesses; boxes to deltas and back; shapes fitted to data
matching     which anchor answers for which object
losses       class loss + lambda * box loss
backbone     image to feature maps
model        backbone + head + anchors = Detector
postprocess  predictions to detections: decode, threshold, NMS
evaluate     precision, recall, average precision
creatures    the animals and plants of the reef, as outlines
reef         the drawn world: images with boxes and masks, as many as you like
data         folders of images with targets: COCO, VOC, YOLO
download     named public sets, every file checked
train        one step, one run, checkpoints
draw         boxes on a matplotlib axis
cli          detlab lab | train | evaluate | detect | data | doctor
"""
