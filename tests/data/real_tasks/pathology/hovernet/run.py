from parameters import INPUTS, OUTPUTS, squares, text, write_array

step = {"fast": 16, "exact": 8}[text("model", "fast")]
found = squares(INPUTS / "image", step)
write_array(OUTPUTS / "nuclei", found)
write_array(OUTPUTS / "tumour", found[::3])
write_array(OUTPUTS / "probabilities", [1 - 1 / (2 + index) for index in range(len(found))])
