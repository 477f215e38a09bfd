-- Add the doubts to ratios. Expects given_doubts (train, target, predictions, doubts) and the filled table
-- alignment_ratio.
-- parameters: none
update alignment_ratio set doubts = given_doubts.doubts
from given_doubts
where alignment_ratio.train = given_doubts.train and alignment_ratio.predictions = given_doubts.predictions
