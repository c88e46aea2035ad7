# %% [markdown]
# # Start here
#
# What can you build in this course? Below, a detector that trained for five minutes on two
# processor cores looks at a picture that it never saw, and says **what** is **where**.
# You will write every part of it.
#
# **Runs** in 10 s on two processor cores. Run the cells one by one with Shift + Enter.

# %% [markdown]
# ## Is this machine ready?
#
# Every line should begin with `ok`. A line that begins with `MEND` ends with the command that
# mends it. The last line times a few training steps.

# %%
# NBVAL_IGNORE_OUTPUT
from detlab import doctor

for finding in doctor.examine():
    print(finding)

# %% [markdown]
# ## A picture
#
# The **reef** is drawn from a seed, so it needs no network, and there are as many pictures as we
# like. Which animals do you see?

# %%
# %matplotlib inline
from detlab import reef
from detlab.draw import Picture, draw_alone

scene = reef.draw_scene(reef.VAL_SEED, index=3, image_size=(512, 512))
draw_alone(Picture(scene.image), reef.CLASS_NAMES)

# %% [markdown]
# ## What the detector says
#
# Each dashed box is a guess: a class, a place, and a score from 0 to 1. Here are the guesses that
# score at least 0.4. Solid boxes are what is really there.

# %%
from pathlib import Path

from detlab.checkpoint import load_checkpoint
from detlab.postprocess import detect

detector, info = load_checkpoint(Path("../data/checkpoints/course.safetensors"))
[found] = detect(detector, [scene.image], info.config.image_size, score_threshold=0.4)
draw_alone(Picture(scene.image, scene.target, found), info.class_names)

# %% [markdown]
# In words:

# %%
for label, score in zip(found["labels"].tolist(), found["scores"].tolist(), strict=True):
    print(f"{info.class_names[label]:<10} score {score:.1f}")
