"""From a picture to boxes, one idea a file, in the order of the story.

What a box is
    types        names for what travels: Target, Detection, Predictions
    boxes        geometry: formats, area, IoU, GIoU, clip
    images       pictures of any size to one batch
    classify     from logits to one label: softmax, cross-entropy, accuracy

From image to loss and to boxes
    anchors      a grid of guesses; boxes to deltas and back; shapes fitted to data
    matching     which anchor answers for which object
    losses       class loss + lambda * box loss
    backbone     image to feature maps
    model        backbone + head + anchors = Detector
    suppression  one box per object: NMS, per class, Soft-NMS
    postprocess  predictions to detections: decode, threshold, suppress
    tiling       small objects in large pictures: tile after tile
    evaluate     hits, precision, recall, average precision
    coco         COCO's twelve numbers, for all classes and thresholds at once
    errors       kinds of error, and what each of them costs
    calibration  whether a score means what it says
    baselines    detectors that never look, to stand beside

What there is to look at
    creatures    the animals of the reef, as outlines
    seascape     water, light, sand, rock and plants around them
    reef         the drawn world: pictures with boxes and masks, as many as you like
    records      what a folder says of its pictures, and the faults met on the way
    pictures     picture files to tensors
    formats      COCO, VOC and YOLO files to records
    folders      which format a folder has, and its splits
    defects      what is wrong with a folder, one by one
    twins        pictures of the same scene
    audit        labels that deserve a second look
    archives     downloads that go on where they stopped; safe unpacking
    download     public sets by name, checked as they come
    corrections  a public set with its known mistakes mended
    data         a folder or a name becomes pictures with targets
    transforms   a picture seen anew at every visit
    fitting      anchors that suit a data set
    faults       what is known to be wrong with a set, to judge an audit by
    spoiled      a drawn set with the faults of real ones, planted and listed

A detector's life
    processes    several of them that train together
    devices      where it computes, and how precisely
    batches      the order in which it sees its pictures
    train        one step, one run, on one processor or many
    checkpoint   weights, settings and class names in one file
    files        whole, or not written
    inference    at work: on a data set to judge it, on files to use it
    run_folder   settings, numbers, and where an interrupted run goes on
    run          one training run, from the data to its folder

What a person sees
    roles        one colour and one line style for each kind of box
    draw         boxes on a matplotlib axis
    audit_sheet  what an audit found, drawn
    widgets      boxes to drag, thresholds to slide
    doctor       what this machine has and lacks

A learner's way
    course       the lessons in their order
    progress     what was answered, solved and finished
    single       the network of the first lessons: one picture, one object
    exercises    what a learner writes, and the mistakes that are known
    status       how far a learner is, lesson by lesson
    restore      a lesson as it was shipped
    rebuild      a learner's function outside its lesson
    parts        what a learner built, put into the real detector
    server       JupyterLab's server, which sends at once
    advice       what to run when a cell fails because of others
    lesson       what notebooks need beside the package

All of it from the command line
    printout     numbers, tables, and an audit in words
    cli          detlab lab | train | evaluate | detect | data | doctor | progress | reset
"""
