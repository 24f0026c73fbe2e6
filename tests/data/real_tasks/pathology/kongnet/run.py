from parameters import OUTPUTS, items, squares, write_array

found = [squares(image, 8) for image in items("images")]
write_array(OUTPUTS / "nuclei", found)
write_array(OUTPUTS / "probabilities", [[1 / (1 + index) for index in range(len(each))] for each in found])
