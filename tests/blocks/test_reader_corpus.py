"""Replies as judges write them: each is read right or not at all; what must be read is in test_replies and test_read_choices."""

from __future__ import annotations

import re

import pytest

from loopwright.blocks.programs import program_of
from loopwright.blocks.text.choices import choice_in
from loopwright.blocks.text.numbers import read_numbers
from loopwright.blocks.text.rewrites import text_in
from loopwright.blocks.text.scores import score_in
from loopwright.blocks.text.yes_no import yes_in

SCORES = [  # the reply, the best score, what it gives; None where it gives none
    ("Score: 7/10", 10, 7.0),
    ("Score: 7 / 10", 10, 7.0),
    ("**Score:** 7", 10, 7.0),
    ("Score: seven", 10, 7.0),
    ("Score: 7.5.", 10, 7.5),
    ("I'd rate this 8 out of 10. It has 3 errors.", 10, 8.0),
    ("The response makes 3 mistakes.\n\nScore: 4", 10, 4.0),
    ("Score: 4\n\nTo reach a score of 9, fix the 3 mistakes.", 10, 4.0),
    ("Criteria:\n1. Accuracy: 3/5\n2. Style: 4/5\nTotal: 7/10", 10, 7.0),
    ("Accuracy: 8\nStyle: 6\nOverall: 7", 10, 7.0),
    ("Accuracy score: 8\nStyle score: 6\nOverall score: 7", 10, 7.0),
    ("Accuracy score: 8\nStyle score: 6", 10, None),
    ("Score for accuracy: 8\nScore for style: 6\nFinal: 7", 10, 7.0),
    ("Initial score: 9\nAfter reconsideration: 5", 10, 5.0),
    ("Initial score: 9\nRevised score: 5", 10, 5.0),
    ("Score: 9\nActually, on reflection, Score: 5", 10, 5.0),
    ("Score: 9. Hmm wait, the date is wrong. Final score: 5", 10, 5.0),
    ("Score before deductions: 10\nDeductions: 3\nScore: 7", 10, 7.0),
    ("Deduction: -2 points\nScore: 8", 10, 8.0),
    ("Starting score: 10\n- 2 for style\n- 1 for facts\nFinal: 7", 10, 7.0),
    ("10 - 2 - 1 = 7\nScore: 10 - 2 - 1 = 7", 10, 7.0),
    ("Score: 10 - 3 = 7", 10, 7.0),
    ("Score = 3 + 4 = 7", 10, 7.0),
    ("Score: 6-7", 10, None),
    ("Score: between 6 and 7", 10, None),
    ("Score: 6 to 7", 10, None),
    ("Score: 6 or 7", 10, None),
    ("Score: ~7", 10, 7.0),
    ("Score: about 7", 10, 7.0),
    ("Score: >7", 10, None),
    ("Score: <5", 10, None),
    ("Score: at least 7", 10, None),
    ("Score: 0.85", 1, 0.85),
    ("Score: 85%", 1, 0.85),
    ("Score: 85%", 10, None),
    ("Score: 85/100", 10, None),
    ("Score: 85/100", 1, None),
    ("Score: 3 stars out of 5", 10, None),
    ("Score: 3★", 5, 3.0),
    ("★★★☆☆", 5, None),
    ("Score: ★★★☆☆ (3/5)", 5, 3.0),
    ('{"score": "7/10"}', 10, 7.0),
    ('{"score": 7, "max": 10}', 10, 7.0),
    ('{"score": null, "previous_score": 4}', 10, None),
    ('{"scores": {"accuracy": 3, "style": 4}, "score": 7}', 10, 7.0),
    ('{"scores": {"accuracy": {"score":3}, "style": {"score":4}}}', 10, None),
    ('{"criteria":[{"name":"a","score":3},{"name":"b","score":4}],"final_score":7}', 10, 7.0),
    ('{"criteria":[{"name":"a","score":3},{"name":"b","score":3}],"total":6}', 10, 6.0),
    ('{"criteria":[{"name":"a","score":3}],"overall":6}', 10, 6.0),
    ('{"criteria":[{"name":"a","score":3}],"overall":{"score":6}}', 10, 6.0),
    ('{"steps":[{"score":3},{"score":3}], "rating": 8}', 10, 8.0),
    ('Example: {"score": 5}. My verdict: {"score": 8}', 10, 8.0),
    ('{"score": True}', 10, None),
    ('{"Score": 7}', 10, 7.0),
    ("{'score': 7}", 10, 7.0),
    ('{"score": 7,}', 10, 7.0),
    ("{score: 7}", 10, 7.0),
    ('```json\n{"score": 7, "reason": "a score of 9 requires..."}\n```', 10, 7.0),
    ('{"score_out_of_10": 7}', 10, 7.0),
    ('{"score_breakdown": {"a": 2, "b": 3}, "score": 5}', 10, 5.0),
    ('{"score_delta": -2, "final": 6}', 10, 6.0),
    ('{"confidence_score": 0.9, "answer_score": 4}', 10, 4.0),
    ('{"confidence_score": 0.9}', 10, None),
    ('{"similarity_score": 3}', 10, 3.0),
    ("<score>7</score>", 10, 7.0),
    ("<score>7/10</score>", 10, 7.0),
    ("<score>\n7\n</score>", 10, 7.0),
    ("<rating>7</rating>", 10, 7.0),
    ("<think>Score: 3</think>Score: 7", 10, 7.0),
    ("<think>Score: 3", 10, None),
    ("Score: 3\n</think>\nScore: 7", 10, 7.0),
    ("[[7]]", 10, 7.0),
    ("Rating: [[7]]", 10, 7.0),
    ("rate from [[1]] to [[10]]: [[7]]", 10, 7.0),
    ("For instance: [[5]]. Rating: [[7]]", 10, 7.0),
    ("\\boxed{7}", 10, 7.0),
    ("$\\boxed{\\frac{7}{10}}$", 10, 7.0),
    ("Score: \\frac{7}{10}", 1, 0.7),
    ("\\text{Score: } 7", 10, 7.0),
    ("Score: $7$", 10, 7.0),
    ("Score: 7,5", 10, 7.5),
    ("Score: 7,5/10", 10, 7.5),
    ("Score: 1e1", 10, 10.0),
    ("Score: ½", 1, 0.5),
    ("Score: 1/2", 1, 0.5),
    ("Score: 3/4", 1, 0.75),
    ("Score: 1/2", 10, None),
    ("Score: -1", 10, -1.0),
    ("Score: − 1", 10, -1.0),
    ("Score - 7", 10, 7.0),
    ("Score -7", 10, 7.0),
    ("Score: - 7", 10, 7.0),
    ("Score : 7", 10, 7.0),
    ("SCORE=7", 10, 7.0),
    ("score=7;max=10", 10, 7.0),
    ("Score (1-10): 7", 10, 7.0),
    ("Score [1-10]: 7", 10, 7.0),
    ("Score (out of 10): 7", 10, 7.0),
    ("Score (higher is better): 7", 10, 7.0),
    ("Score out of 10: 7", 10, 7.0),
    ("Score from 1 to 10: 7", 10, 7.0),
    ("Score on a scale of 1-10: 7", 10, 7.0),
    ("Score, 1 to 10: 7", 10, 7.0),
    ("Score 1-10: 7", 10, 7.0),
    ("On a scale from 1 to 10, I'd give this a 7.", 10, 7.0),
    ("On a scale from 0 to 10 the score is 7", 10, 7.0),
    ("I would score this 7.", 10, 7.0),
    ("I would give it a 7.", 10, 7.0),
    ("7", 10, 7.0),
    ("7.", 10, 7.0),
    ("**7**", 10, 7.0),
    ("7\n\nThe answer has 2 errors.", 10, 7.0),
    ("The answer has 2 errors.\n\n7", 10, 7.0),
    ("2 errors\n7", 10, 7.0),
    ("Answer 1: 7\nAnswer 2: 5", 10, None),
    ("Question 3\nScore: 7", 10, 7.0),
    ("Score\n7", 10, 7.0),
    ("# Score\n\n7/10", 10, 7.0),
    ("## Score: 7", 10, 7.0),
    ("| Criterion | Score |\n|---|---|\n| A | 3 |\n| B | 4 |\n| Total | 7 |", 10, 7.0),
    ("| Criterion | Score |\n|---|---|\n| A | 3 |\n| B | 4 |", 10, None),
    ("| Score | 7 |", 10, 7.0),
    ("- Score: 7\n- Max score: 10", 10, 7.0),
    ("Max. score: 10. Score: 7", 10, 7.0),
    ("Max score: 10", 10, None),
    ("Score range: 1-10\nScore: 7", 10, 7.0),
    ("Score range: 10\nScore: 7", 10, 7.0),
    ("Scoring: 7", 10, 7.0),
    ("The score can't be 10 because of the error; I give 6.", 10, 6.0),
    ("I can't give a score of 10. Score: 6", 10, 6.0),
    ("The score is not 10 but 6", 10, 6.0),
    ("The score is not 10.", 10, None),
    ("The score should not be 9.", 10, None),
    ("score would be 9 if it cited sources; as it stands 5", 10, 5.0),
    ("A score of 9 is too generous; 5.", 10, 5.0),
    ("The user asked for a score of 1 to 10. Score of 7.", 10, 7.0),
    ("This deserves a score of 7, not a score of 9.", 10, 7.0),
    ("Not a score of 9: a score of 7.", 10, 7.0),
    ("The score drops from 9 to 6.", 10, 6.0),
    ("I lower the score by 2 to 6.", 10, 6.0),
    ("score: 10 minus 3", 10, 7.0),
    ("Score: 10, minus 3 for errors", 10, 7.0),
    ("Score: 10 less 3", 10, 7.0),
    ("Score: 7 (out of a max of 10, lowered from 9)", 10, 7.0),
    ("Score: 7 -> 5", 10, 5.0),
    ("Score: 7 → 5", 10, 5.0),
    ("Score: ~~9~~ 7", 10, 7.0),
    ("Score: 9 7", 10, None),
    ("Score: 7, no, 5", 10, 5.0),
    ("Score: 7 — wait, 5.", 10, 5.0),
    ("Score: 07", 10, 7.0),
    ("Score: 7pts", 10, 7.0),
    ("Score: 7 points", 10, 7.0),
    ("Score: 7th", 10, None),
    ("Score: 7B", 10, None),
    ("Score: 7k", 10, None),
    ("Score: 7 million", 10, None),
    ("Score: #7", 10, 7.0),
    ("Score: (7)", 10, 7.0),
    ("Score:7", 10, 7.0),
    ("Score：7", 10, 7.0),
    ("Score：７", 10, 7.0),
    ("分数：7", 10, 7.0),
    ("得分: 7/10", 10, 7.0),
    ("Bewertung: 7", 10, 7.0),
    ("Score: A (9)", 10, 9.0),
    ("Score: B+", 10, None),
    ("Score: 8.5/10 → 4.25/5", 10, 8.5),
    ("The grade 3 student wrote well. Grade: 8", 10, 8.0),
    ("Grade 3 students would not understand.\nRating: 6", 10, 6.0),
    ("Grade: 3rd-grade level", 10, None),
    ("Grade level: 5\nScore: 8", 10, 8.0),
    ("Mark: 7", 10, 7.0),
    ("Rating: PG-13", 10, None),
    ("Rating: 13+", 10, None),
    ("The score of 3 goals to 1 in the text is correct. Score: 9", 10, 9.0),
    ("The final score of the match was 3-1, which is right. I rate this 9/10.", 10, 9.0),
    ("The F1 score is 0.9 in the paper. Score: 4", 10, 4.0),
    ("The text reports a score of 95. I'd give 6/10", 10, 6.0),
    ("The text says the score was 2. \n8", 10, 8.0),
    ("Credit score: 700 is mentioned.\nScore: 5", 10, 5.0),
    ("Score: 7\nConfidence: 0.8", 10, 7.0),
    ("Confidence: 0.8\nScore: 7", 10, 7.0),
    ("Overall Confidence: 0.8", 10, None),
    ("Overall, 3 points are wrong. Score: 5", 10, 5.0),
    ("Overall: 3 errors found", 10, None),
    ("Total: 3 errors", 10, None),
    ("Total errors: 3", 10, None),
    ("Total: 12/20", 10, None),
    ("Verdict: 2 of 3 requirements are met", 10, None),
    ("Score: 2 of 3 requirements are met", 10, None),
    ("Score: 5 requirements met, so 5", 10, 5.0),
    ("Score: 1 error, so 8", 10, 8.0),
    ("Score: 3 points deducted, so 7", 10, 7.0),
    ("Score: 2 points off → 8", 10, 8.0),
    ("Score: -2 (deduction), final 8", 10, 8.0),
    ("Score: 100%", 1, 1.0),
    ("Score: 100", 100, 100.0),
    ("Score: 50 %", 100, 50.0),
    ("Score: 5‰", 1, None),
    ("Helpfulness Score: 7\n\nScore justification: 3 good points", 10, 7.0),
    ("Score justification: 3 good points", 10, None),
    ("Score explanation: 2 errors\nScore: 7", 10, 7.0),
    ("Score reason: 3 errors were found. 6", 10, None),
    ("Score: 7\n\nScore: 7", 10, 7.0),
    ("Score: 7\nScore: 8", 10, 8.0),
    ("Reasoning: I gave it 3 for style and 4 for facts.\nScore:", 10, None),
    ("Score: N/A", 10, None),
    ("Score: none (0 evidence)", 10, None),
    ("Score: ?", 10, None),
    ("Score: unable to score; 0 sources", 10, None),
    ("Human score: 9\nMy score: 4", 10, 4.0),
    ("Model's score: 9\nMy score: 4", 10, 4.0),
    ("User's rating: 9. My rating: 4", 10, 4.0),
    ("Reference answer score: 10\nAnswer score: 4", 10, 4.0),
    ("Score of the reference: 10\nScore of the answer: 4", 10, 4.0),
    ("Your score was 9 before. Now your score is 4", 10, 4.0),
    ("Scores: 3, 4, 5", 10, None),
    ("Score for response A: 3\nScore for response B: 7", 10, None),
    ("Score (0 = bad, 10 = good): 7", 10, 7.0),
    ("Score (0=bad; 10=good) 7", 10, 7.0),
    ("Score – 7 – good", 10, 7.0),
    ("Score: 7—good", 10, 7.0),
    ("Score: 7–8", 10, None),
    ("Score: 7 +/- 1", 10, None),
    ("Score: 7±1", 10, None),
]
CHOICES = [
    ("A", "A"),
    ("B.", "B"),
    ("**A**", "A"),
    ("[[A]]", "A"),
    ("[[C]]", "tie"),
    ("[[A>B]]", "A"),
    ("[[A>>B]]", "A"),
    ("[[B>A]]", "B"),
    ("[[A=B]]", "tie"),
    ("My final verdict is: [[B>>A]]", "B"),
    ("A > B", "A"),
    ("A>B", "A"),
    ("B > A", "B"),
    ("A < B", "B"),
    ("A≻B", "A"),
    ("A = B", "tie"),
    ("Better: A > B", "A"),
    ("Verdict: A<B", "B"),
    ("Verdict: A < B", "B"),
    ("Verdict: B over A", "B"),
    ("Verdict: A, B", None),
    ("Verdict: A/B", None),
    ("Better: B than A? No: Better: A", "A"),
    ("Answer A is worse than answer B.", "B"),
    ("Answer A isn't better than answer B.", None),
    ("Answer A is no better than B.", None),
    ("A is not worse than B.", None),
    ("A loses to B", "B"),
    ("A is beaten by B", "B"),
    ("A is outperformed by B.", "B"),
    ("A is surpassed by B", "B"),
    ("B is outperformed by A.", "A"),
    ("A wins over B", "A"),
    ("A was beaten.", "B"),
    ("A falls short of B.", "B"),
    ("A lags behind B; B wins.", "B"),
    ("A comes second.", "B"),
    ("I rank B first and A second.", "B"),
    ("Ranking: B, A", "B"),
    ("Ranking: B > A", "B"),
    ("1. B\n2. A", "B"),
    ("1) A\n2) B", "A"),
    ("Unlike B, A is better.", "A"),
    ("Compared to A, B is better.", "B"),
    ("A is better at style, but B is better overall.", "B"),
    ("A is better in style. B is better in facts. Overall B.", "B"),
    ("A is better written. B is more accurate. I choose B.", "B"),
    ("A is the more verbose one; B is the more accurate.", "B"),
    ("I prefer B over A", "B"),
    ("I prefer A to B", "A"),
    ("I do not prefer A", None),
    ("I'd prefer A if it were shorter; B it is.", "B"),
    ("I would go with B.", "B"),
    ("I wouldn't pick A.", None),
    ("The worse answer is A.", "B"),
    ("Worse: A", "B"),
    ("Worse answer: A", "B"),
    ("Loser: A", "B"),
    ("Rejected: A", "B"),
    ("Chosen: A\nRejected: B", "A"),
    ("chosen: B, rejected: A", "B"),
    ("Not A", None),
    ("Not A. B.", "B"),
    ("Definitely not B.", None),
    ("Winner: not A", None),
    ("Winner: B (not A)", "B"),
    ("Winner: neither", "tie"),
    ("Winner: Neither A nor B", "tie"),
    ("Winner: both", "tie"),
    ("Better: Tie", "tie"),
    ("Both are equally bad.", "tie"),
    ("It's a tie.", "tie"),
    ("It is not a tie: A is better", "A"),
    ("It's almost a tie, but A is better.", "A"),
    ("It's nearly a tie. Verdict: A", "A"),
    ("There is no tie here. B", "B"),
    ("Both are equally accurate, but B is clearer. Better: B", "B"),
    ("Both are equally accurate. B is more concise, so B wins.", "B"),
    ("Both are equally accurate, but B is more concise.", "B"),
    ("Both are correct. A is more concise.", "A"),
    ("They are equally long. B is better.", "B"),
    ("The answers are identical in tone, but A is more accurate.", "A"),
    ('{"better":"A"}', "A"),
    ('{"winner":"Answer B"}', "B"),
    ('{"A": 7, "B": 5}', "A"),
    ('{"A": 3, "B": 5}', "B"),
    ('{"score_A": 3, "score_B": 5}', "B"),
    ('{"A": "good", "B": "bad"}', None),
    ('{"answer_a": "x is B", "better": "A"}', "A"),
    ('{"better": "tie"}', "tie"),
    ('{"better": null}', None),
    ('{"better": ["A","B"]}', None),
    ('{"worse":"A"}', "B"),
    ('{"loser":"A","winner":"B"}', "B"),
    ('{"reason":"A","better":"B"}', "B"),
    ('{"explanation":"B is bad","choice":"A"}', "A"),
    ('{"first":"A","second":"B","verdict":"B"}', "B"),
    ('{"better":"A","confidence":"B"}', "A"),
    ('{"preferred":"A or B"}', None),
    ('{"better":"A because B is short"}', "A"),
    ('{"better": "Option A is worse"}', "B"),
    ('{"better": "not A"}', None),
    ("Better: a", "A"),
    ("a", "A"),
    ("b)", "B"),
    ("(B)", "B"),
    ("Option (B)", "B"),
    ("A) is better", "A"),
    ("A is fine. B is fine.", None),
    ("A is good. B is great.", None),
    ("A answer that is good", None),
    ("A better answer would mention x. B", "B"),
    ("A better answer would be B with citations", None),
    ("A good response overall.", None),
    ("A", "A"),
    ("A\n\nB ignores it.", "A"),
    ("A.\nBut B is close.", "A"),
    ("A: 7\nB: 5", "A"),
    ("A: good\nB: bad", None),
    ("A: bad\nB: good\nBetter: B", "B"),
    ("Answer A: 3/10. Answer B: 8/10.", "B"),
    ("A - 3\nB - 8", "B"),
    ("Score A: 3\nScore B: 8", "B"),
    ("Better: A\n...\nOn reflection, better: B", "B"),
    ("Better on accuracy: A\nBetter on style: B\nBetter overall: B", "B"),
    ("Better on accuracy: A\nBetter on style: B", None),
    ("Accuracy winner: A\nStyle winner: B\nOverall winner: B", "B"),
    ("Accuracy: A\nStyle: B\nOverall: B", "B"),
    ("Accuracy: A\nStyle: A\nOverall: B", "B"),
    ("Final: B", "B"),
    ("Final answer: B", "B"),
    ("The final answer is B", "B"),
    ("Answer: B", "B"),
    ("Answer B", "B"),
    ("Answer B\nAnswer A is off.", "B"),
    ("Both answers give the answer: B\nBetter: A", "A"),
    ("The correct answer is B, which only answer A gives.", "A"),
    ("The correct answer to the question is B. Answer A says B. So A is better.", "A"),
    ("The correct answer is (B). Response A chose B, Response B chose C.\nWinner: A", "A"),
    ("Correct answer: B\nA is right.", "A"),
    ("<think>Better: B</think>A", "A"),
    ("<think>A</think>\n\nBetter: B", "B"),
    ("<answer>A</answer>", "A"),
    ("<better>B</better>", "B"),
    ("<verdict>A</verdict> since <b>B</b> is short", "A"),
    ("\\boxed{A}", "A"),
    ("$\\boxed{\\text{B}}$", "B"),
    ("The better one is \\boxed{A}.", "A"),
    ("Better: Assistant A", "A"),
    ("Better: Model B's answer", "B"),
    ("Better: the first one", "A"),
    ("The second answer is better.", "B"),
    ("The first is better than the second", "A"),
    ("Better: second", "B"),
    ("Winner = B", "B"),
    ("Winner -> B", "B"),
    ("Winner: **B**", "B"),
    ("**Winner:** B", "B"),
    ("**Winner: B**", "B"),
    ("### Better\nB", "B"),
    ("Better:\n\nB", "B"),
    ("Better: `B`", "B"),
    ("Better: 'B'", "B"),
    ('Better: "B" is', "B"),
    ("Better: A is better than B", "A"),
    ("Better: B. A is worse.", "B"),
    ("Better: A? No, B.", "B"),
    ("Is A better? Yes.", "A"),
    ("Is A better? No.", "B"),
    ("Which is better? A", "A"),
    ("Which is better, A or B? B.", "B"),
    ("Is the better one A or B? I say B.", "B"),
    ("A is better if you like length", None),
    ("Some might say A is better. I say B.", "B"),
    ("At first A seems better. But B is correct.", "B"),
    ("A looks better at first, but it is wrong.", None),
    ("Although A is better structured, B is preferable.", "B"),
    ("While A is stronger on facts, B is stronger overall.", "B"),
    ("A is the better structured, B the better answer.", "B"),
    ("A is much better", "A"),
    ("B is marginally worse", "A"),
    ("A is clearly the weaker answer.", "B"),
    ("A is the weaker of the two", "B"),
    ("A has the worse structure", None),
    ("A has more errors.", None),
    ("A is less accurate than B", "B"),
    ("A is better only in length.", None),
    ("A is preferred over B in no respect.", None),
    ("B is not as good as A.", "A"),
    ("B isn't as good as A.", "A"),
    ("A is as good as B.", "tie"),
    ("A is at least as good as B.", None),
    ("Neither is better.", "tie"),
    ("Neither A nor B is better.", "tie"),
    ("Neither A nor B is correct, but B is closer. Better: B", "B"),
    ("Neither is correct, but B is closer.", "B"),
    ("Hard to say.", None),
    ("I cannot choose between A and B.", None),
    ("I can't decide; A?", None),
    ("Either A or B", None),
    ("A or B", None),
    ("A and B", None),
    ("A & B tie", "tie"),
    ("A ties with B", "tie"),
    ("Grade: A", None),
    ("Grade for answer 1: A\nGrade for answer 2: B", None),
    ("The plan B is better.", "B"),
    ("Vitamin B is better than vitamin A for this.\nBetter: A", "A"),
    ("My vote goes to A", "A"),
    ("Vote: B", "B"),
    ("I vote B", "B"),
    ("B gets my vote", "B"),
    ("B takes it", "B"),
    ("Point to A, but game to B", None),
    ("Better: A (B is also good)", "A"),
    ("Better: A, though B is close", "A"),
    ("Better: A; B misses", "A"),
    ("Better: A not B", "A"),
    ("Better: A rather than B", "A"),
    ("Better: B rather than A.", "B"),
    ("Better: none", "tie"),
    ("Better: None of them", "tie"),
    ("Better: N/A", None),
    ("Better: depends", None),
    ("B is wrong. A is right.", "A"),
    ("A is wrong.", None),
    ("A is correct and B is incorrect.", "A"),
    ("A is incorrect, B is correct.", "B"),
    ("Therefore, A.", "A"),
    ("So: B", "B"),
    ("=> B", "B"),
    ("Output: B", "B"),
    ("Result: B", "B"),
    ("Decision: A - B lacks", "A"),
    ("Preference: A≫B", "A"),
    ("Preference: 1", None),
    ("Choose B.", "B"),
    ("Don't choose A.", None),
    ("You should choose B", "B"),
    ("One should not choose B", None),
    ("Do not choose B. Choose A.", "A"),
    ("I'd avoid B.", None),
    ("Better is A", "A"),
    ("It's A.", "A"),
    ("It isn't A.", None),
    ("It's B, not A.", "B"),
    ("It's not A, it's B.", "B"),
    ("Not B but A.", "A"),
]
YES = [
    ("Yes", "yes", "no", True),
    ("No.", "yes", "no", False),
    ("yes, but no citations", "yes", "no", True),
    ("No errors. Yes.", "yes", "no", True),
    ("No issues found; the answer is correct: yes", "yes", "no", True),
    ("There is no reason to say no: yes", "yes", "no", True),
    ("Yes and no.", "yes", "no", None),
    ("Not yes.", "yes", "no", None),
    ("The answer is not correct.", "yes", "no", None),
    ("Answer: Yes", "yes", "no", True),
    ("Answer: no", "yes", "no", False),
    ("**Verdict**: No", "yes", "no", False),
    ("I would not say yes.", "yes", "no", None),
    ("It would be yes if it had a citation, so no.", "yes", "no", False),
    ("Yes? No.", "yes", "no", False),
    ("Is it correct? Yes.", "yes", "no", True),
    ("Is it correct? No.", "yes", "no", False),
    ("yes/no", "yes", "no", None),
    ("Yes or no: no", "yes", "no", False),
    ("Y", "yes", "no", True),
    ("N", "yes", "no", False),
    ("True", "yes", "no", True),
    ("False", "yes", "no", False),
    ('{"answer": true}', "yes", "no", True),
    ('{"met": "no"}', "yes", "no", False),
    ('{"correct": false, "explained": true}', "yes", "no", False),
    ('{"reason":"no errors","answer":"yes"}', "yes", "no", True),
    ('{"yes": 0.2, "no": 0.8}', "yes", "no", None),
    ('{"yes": false}', "yes", "no", False),
    ('{"no": true}', "yes", "no", False),
    ('{"errors": "no", "answer":"yes"}', "yes", "no", True),
    ('{"has_errors": true}', "yes", "no", None),
    ("No, it does not.", "yes", "no", False),
    ("No doubt: yes", "yes", "no", True),
    ("No doubt about it, it is correct.", "yes", "no", None),
    ("Nope", "yes", "no", False),
    ("Yep", "yes", "no", True),
    ("No problem. The condition is met.", "yes", "no", None),
    ("No - the step fails", "yes", "no", False),
    ("No mistakes - yes", "yes", "no", True),
    ("None", "yes", "no", None),
    ("No. 3 is right, so yes", "yes", "no", True),
    ("No. 3 is correct.", "yes", "no", None),
    ("Well, yes.", "yes", "no", True),
    ("Well, no.", "yes", "no", False),
    ("Yes, if the date is fixed; as it stands, no.", "yes", "no", False),
    ("Not really.", "yes", "no", None),
    ("<think>No.</think>Yes", "yes", "no", True),
    ("<answer>no</answer>", "yes", "no", False),
    ("\\boxed{Yes}", "yes", "no", True),
    ("[[No]]", "yes", "no", False),
    ("Yes (no issues)", "yes", "no", True),
    ("The answer says yes, which is wrong. No.", "yes", "no", False),
    ("The student answered 'no'; that is right. Verdict: yes", "yes", "no", True),
    ("The student answered no. That is right.", "yes", "no", None),
    ("The response says 'Yes'.", "yes", "no", None),
    ("Step 1: yes\nStep 2: no", "yes", "no", None),
    ("Requirement 1: yes\nRequirement 2: no\nAnswer: no", "yes", "no", False),
    ("Met: yes", "yes", "no", True),
    ("Met: partially, no", "yes", "no", False),
    ("Correct: no", "yes", "no", False),
    ("Correctness: yes", "yes", "no", True),
    ("It is hard to say no.", "yes", "no", None),
    ("Can't say yes.", "yes", "no", None),
    ("Cannot answer yes.", "yes", "no", None),
    ("Neither yes nor no.", "yes", "no", None),
    ("yes\n\nno", "yes", "no", None),
    ("No\n\nActually, yes.", "yes", "no", True),
    ("Yes.\n\nWait, the second date is wrong. No.", "yes", "no", False),
    ("Yes, the answer contains no errors", "yes", "no", True),
    ("correct", "correct", "incorrect", True),
    ("incorrect", "correct", "incorrect", False),
    ("Incorrect.", "correct", "incorrect", False),
    ("not correct", "correct", "incorrect", False),
    ("This is not incorrect", "correct", "incorrect", None),
    ("The answer is correct.", "correct", "incorrect", True),
    ("The answer is incorrect.", "correct", "incorrect", False),
    ("isn't correct", "correct", "incorrect", None),
    ("correct/incorrect: incorrect", "correct", "incorrect", False),
    ("Partially correct", "correct", "incorrect", None),
    ("mostly correct", "correct", "incorrect", None),
    ("Almost correct, but incorrect.", "correct", "incorrect", False),
    ("The correct answer is 5; the student said 6.", "correct", "incorrect", None),
    ("The correct answer is 5.", "correct", "incorrect", None),
    ("Incorrect: the correct answer is 5.", "correct", "incorrect", False),
    ("The student should have given the correct answer.", "correct", "incorrect", None),
    ("correct answer: 5, student's answer: 6", "correct", "incorrect", None),
    ("Correct answer: 5\nStudent's answer: 6\nVerdict: incorrect", "correct", "incorrect", False),
    ("If it were correct, it would say 5.", "correct", "incorrect", None),
    ("To be correct it needs a citation.", "correct", "incorrect", None),
    ("Correct formatting, wrong number.", "correct", "incorrect", None),
    ("Correct. Well done.", "correct", "incorrect", True),
    ("Correctly derived.", "correct", "incorrect", None),
    ("The derivation is correct but the result is wrong.", "correct", "incorrect", None),
    ("far from correct", "correct", "incorrect", None),
    ("hardly correct", "correct", "incorrect", None),
    ("Is it correct? No.", "correct", "incorrect", False),
    ("nothing incorrect here", "correct", "incorrect", None),
    ("Grammatically correct, factually incorrect", "correct", "incorrect", None),
    ("no longer correct", "correct", "incorrect", None),
]


@pytest.mark.parametrize(("text", "high", "score"), SCORES)
def test_a_score_is_read_right_or_not_at_all(text: str, high: float, score: float | None) -> None:
    assert score_in(text, high=high).value in (None, score)


@pytest.mark.parametrize(("text", "choice"), CHOICES)
def test_a_choice_is_read_right_or_not_at_all_in_both_orders(text: str, choice: str | None) -> None:
    assert choice_in(text).value in (None, choice)
    named = re.search(r"\[\[C\]\]|first|second|(?i:\ba (?:better|good|answer))|\b[ab]\b", text)
    if not named:  # nothing but the two letters tells them apart
        other = re.sub(r"(?<![A-Za-z])([AB])(?![A-Za-z])", lambda m: "BA"["AB".index(m[1])], text)
        assert choice_in(other).value in (None, {"A": "B", "B": "A"}.get(choice or "", choice))


@pytest.mark.parametrize(("text", "yes", "no", "said"), YES)
def test_a_yes_is_read_right_or_not_at_all(text: str, yes: str, no: str, said: bool | None) -> None:
    assert yes_in(text, yes, no).value in (None, said)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Score: 9\nActually, on reflection, Score: 5", 5.0),
        ("Initial score: 9\nRevised score: 5", 5.0),
        ('{"criteria": [{"name": "a", "score": 3}, {"name": "b", "score": 3}], "total": 6}', 6.0),
        ('{"parts": [{"score": 3}, {"score": 3}], "rating": 8}', 8.0),
        ('{"details": [{"score": 3}], "overall": {"score": 6}}', 6.0),
        ("Score: 7 points", 7.0),
        ("Score: 7pts", 7.0),
        ("<score>7</score>", 7.0),
        ("Score: <7>", 7.0),
        ("Score: 7 out of 10", 7.0),
        ("Starting score: 10\n- 2 for style\nScore: 8", 8.0),
        ('{"confidence_score": 0.9, "answer_score": 4}', 4.0),
    ],
)
def test_a_score_that_was_revised_or_summed_is_read(text: str, score: float) -> None:
    assert score_in(text, high=10).value == score


@pytest.mark.parametrize(
    "text",
    [
        "Overall: 3 errors found",
        "Score: 3 points deducted, so 7",
        "Score: 1 error, so 8",
        "Score: 7 -> 5",
        "Score: 10, minus 3 for errors",
        "Score: 7k",
        "Score: 7 million",
        "Grade: 3rd-grade level",
        "Rating: 13+",
        "Score: <5",
        "Score -7",
        '{"confidence_score": 0.9}',
        '{"parts": [{"score": 3}, {"score": 3}]}',
        "A score of 9 is too generous; 5.",
    ],
)
def test_a_number_of_something_else_is_no_score(text: str) -> None:
    found = score_in(text, high=10)
    assert found.value is None and found.problem


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("The worse answer is A.", "B"),
        ("Better: A\nOn reflection, better: B", "B"),
        ("Winner: A\nWait, winner: B", "B"),
        ("It is a tie.", "tie"),
        ("Both are equally good.", "tie"),
        ('{"worse": "A"}', None),
        ('{"loser": "A", "winner": "B"}', "B"),
        ("A - short but wrong\nB - longer, and right", None),
        ("Both are equally accurate, but B is more concise.", None),
        ("There is no tie here.", None),
    ],
)
def test_what_is_worse_or_equal_in_part_is_not_taken_for_the_choice(text: str, choice: str | None) -> None:
    assert choice_in(text).value == choice


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The correct answer is 5; the student said 6.", None),
        ("Correct answer: 5", None),
        ("Partially correct", None),
        ("The derivation is correct but the result is wrong.", None),
        ("The answer is correct.", True),
        ("Correct. Well done.", True),
        ("Correct, because 2 + 2 is 4.", True),
        ("The answer is incorrect.", False),
        ("It is correct in all parts.", True),
    ],
)
def test_correct_before_a_noun_says_nothing_of_the_answer(text: str, said: bool | None) -> None:
    assert yes_in(text, "correct", "incorrect").value is said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"has_errors": true}', None),
        ('{"no": true}', False),
        ('{"correct": true, "has_errors": false}', True),
        ('{"met": false}', False),
        ("No. 3 is right", None),
        ("Yes, if the date is fixed; as it stands, no.", None),
        ("Step 1: yes\nStep 2: no", None),
        ("Yes.\n\nWait, the second date is wrong. No.", None),
        ("Yes, it is.", True),
        ("No. It is not.", False),
        ("The text says no.", None),
    ],
)
def test_a_yes_that_is_taken_back_or_is_of_something_else(text: str, said: bool | None) -> None:
    assert yes_in(text).value is said


@pytest.mark.parametrize(
    "reply",
    [
        "<prompt>\nBe brief.\n</prompt>",
        "Sure!\n<new_prompt>Be brief.</new_prompt>\nHope it helps.",
        '{"prompt": "Be brief."}',
        "<answer>Be brief.</answer>",
        '{"improved_instruction": "Be brief."}',
        "Be brief.",
    ],
)
def test_a_new_text_in_a_tag_or_a_field_is_read_without_them(reply: str) -> None:
    assert text_in(reply).value == "Be brief."


@pytest.mark.parametrize(
    "reply",
    [
        "Put the answer between <answer> and </answer>.",
        "Put your answer in <text>ANSWER</text>.",
        "Write your prompt as <prompt>X</prompt>, nothing else.",
        "Give the answer in this form:\n<text>\nyour answer\n</text>",
        "Answer in <text>a</text> or in <text>b</text>.",
        '{"a": 1}',
        "<rule>Be brief.</rule><rule>Be kind.</rule>",
    ],
)
def test_tags_that_belong_to_the_new_text_stay(reply: str) -> None:
    assert text_in(reply).value == reply


@pytest.mark.parametrize("reply", ["I'm sorry, but I can't help with that.", "I cannot assist with this request."])
def test_a_refusal_is_no_new_text(reply: str) -> None:
    found = text_in(reply)
    assert found.value is None and "refused" in found.problem


# ---- what may be one thing or another ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<score>7</score>\n<score>5</score>",
        "<score>9</score> Wait, the date is wrong. <score>5</score>",
        "Part 1: <score>3</score>\nPart 2: <score>4</score>",
        '{"score": 4}\nA perfect answer would be {"score": 10}.',
        'My verdict: {"score": 4}. For instance, {"score": 10} would need sources.',
        'A full answer would get {"score": 10}, but this one gets {"score": 4}',
        '```json\n{"score": 4}\n```\nA perfect answer would be:\n```json\n{"score": 10}\n```',
        '{"score": 4}\nA perfect answer would be:\n```json\n{"score": 10}\n```',
        "{'score': 4}\nA perfect answer would be {\"score\": 10}",
        "Score: 7... actually 5",
        "Score: 7\u2026 no, make it 5",
        "Score: 7. Actually, 5.",
        "Score: 7\n\nActually, make that a 5.",
        "Score: 7\nOn reflection, I would lower it to 5.",
        "Score: 7\nHmm, 5 is fairer.",
        "Score: 7 - wait, 5",
        "<score>7</score> Actually, 5.",
        '{"score": 7} Let me correct that: 5',
        "Score: 5 100",
        "100 200 300",
    ],
)
def test_two_scores_that_differ_are_none_with_the_reason(text: str) -> None:
    found = score_in(text, high=10)
    assert found.value is None and found.problem


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("<score>7</score> and so <score>7</score>", 7.0),
        ('{"score": 4}\nAs JSON: {"score": 4.0}', 4.0),
        ('{"criteria": {"style": 3}}\n{"score": 4}', 4.0),
        ("Score: 7\nThe answer actually gives 3 sources.", 7.0),
        ("Score: 7\nActually, 2 steps are missing.", 7.0),
        ("Score: 7\n- no 2: wrong\n- no 3: fine", 7.0),
        ("Score: 4\n\nIt was not 1990 but, actually, 1991.", 4.0),
        ("Score: 6\n\nI would raise it to 8 with citations.", 6.0),
        ("Score: 7... actually 5. Final score: 7", 7.0),
        ("Score: 9... actually 5.\nFinal score: 5", 5.0),
        ("Score: 8. I considered 5, but that is too low.", 8.0),
    ],
)
def test_a_score_said_twice_alike_or_explained_stays(text: str, score: float) -> None:
    assert score_in(text, high=10).value == score


UNDECIDED = [
    "If accuracy matters A is better; for style B is better",
    "If accuracy matters, A is better; for style, B is better.",
    "For style, B is better.",
    "In terms of style B is better.",
    "When accuracy counts, A is better. Otherwise B is better.",
    "If accuracy matters, A wins. B is better.",
    "On accuracy, A wins. On style, B wins.",
    "Stylistically, A is better.",
    "Better: A for accuracy, B for style",
    "Better: A if accuracy matters, otherwise B",
    "Hepatitis B is worse",
    "Hepatitis B is worse than hepatitis A.",
    "Vitamin A is better",
    "The plan B is better.",
    "Influenza A is worse than influenza B.",
    "Table B is stronger.",
]


@pytest.mark.parametrize("text", UNDECIDED)
def test_a_condition_a_part_and_a_name_are_no_choice(text: str) -> None:
    for said in (text, re.sub(r"\b[AB]\b", lambda m: "BA"["AB".index(m[0])], text)):
        found = choice_in(said)
        assert found.value is None and found.problem


@pytest.mark.parametrize(
    "lead", ["", "I think ", "So answer ", "Overall, ", "In my view ", "For this reason, ", "Clearly ", "On balance, "]
)
@pytest.mark.parametrize("letter", ["A", "B"])
def test_a_lead_before_the_choice_leaves_it_one(lead: str, letter: str) -> None:
    assert choice_in(f"{lead}{letter} is better.").value == letter
    assert (
        choice_in(f"If brevity mattered, {'BA'['AB'.index(letter)]} would be better. {lead}{letter} is better.").value
        == letter
    )


@pytest.mark.parametrize(
    "text",
    [
        "Better: C",
        "Winner: c",
        "Verdict: C.",
        "Better: D",
        "The better answer is C.",
        '{"better": "C"}',
        "\\boxed{C}",
        "C",
    ],
)
def test_a_letter_that_was_not_offered_is_no_tie(text: str) -> None:
    found = choice_in(text)
    assert found.value is None and found.problem
    assert choice_in(f"{text}\nA wins.").value in (None, "A")
    assert choice_in("Better: C", ("A", "B", "C")).value == "C" and choice_in("Verdict: [[C]]").value == "tie"


@pytest.mark.parametrize(
    "text",
    [
        "Probably yes", "Probably no.", "Maybe yes", "Perhaps no", "Most likely yes.", "Yes, probably", "Yes (not sure)",
        "No, I guess",
        "Answer: probably yes", "Answer: yes, most likely", "I lean yes", "Verdict: perhaps no", "It is possibly a yes.",
    ],
)  # fmt: skip
def test_an_unsure_yes_is_none_with_the_reason(text: str) -> None:
    found = yes_in(text)
    assert found.value is None and "not sure" in found.problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I think yes", True), ("Yes, probably because the source says so.", True), ("No, it is likely to mislead.", False),
        ("Yes. Perhaps it could be shorter.", True), ("Surely no.", False),
    ],
)  # fmt: skip
def test_a_doubt_about_something_else_leaves_the_yes(text: str, said: bool) -> None:
    assert yes_in(text).value is said


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("100 200 300", [None]), ("the answers are 100 200", [None]), ("10 200 30", [None]), ("7 1 234", [7, None]),
        ("123 456.5", [None]),
        ("1 234", [1234]), ("12 500 people", [12500]), ("617 * 2 = 1 234", [617, 2, 1234]),
        ("1 234, 5 678 and 9", [1234, 5678, 9]),
        ("100\u00a0200\u00a0300", [100200300]), ("123\u202f456", [123456]), ("$123 456", [123456]),
        ("100,200,300", [100200300]),
    ],
)  # fmt: skip
def test_numbers_that_ordinary_spaces_part(text: str, values: list[int | None]) -> None:
    found = read_numbers(text)
    assert [number.value for number in found] == values
    assert all(number.problem for number in found if number.value is None)


ADD, WRONG = "def add(a, b):\n    return a + b", "def add(a, b):\n    return a - b"


def block(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```\n"


@pytest.mark.parametrize(
    ("parts", "call", "value"),
    [
        (["import math", "def f(x):\n    return math.floor(x)"], "f(2.5)", 2),
        (["from math import floor as down", "def f(x):\n    return down(x)"], "f(2.5)", 2),
        (["from math import *", "def f(x):\n    return floor(x)"], "f(2.5)", 2),
        (["LIMIT = 3", "def f(x):\n    return x > LIMIT"], "f(4)", True),
        (["import math\n\ndef half(x):\n    return math.floor(x / 2)", "def f(x):\n    return half(x) + 1"], "f(5)", 3),
        (["def f(x):\n    return half(x) + 1", "def half(x):\n    return x // 2"], "f(5)", 3),
        (
            ["@dataclass\nclass P:\n    x: int", "from dataclasses import dataclass", "def f():\n    return P(1).x"],
            "f()",
            1,
        ),
        (
            ["import math", "from __future__ import annotations\n\ndef f(x: Later):\n    return math.floor(x)"],
            "f(2.5)",
            2,
        ),
        (["import math\ndef f(x):\n    return math.ceil(x)", "def f(x):\n    return math.floor(x)"], "f(2.5)", 2),
        (["def g(x):\n    return 1", "def f(x):\n    return g(x)", "def f(x):\n    return g(x) + 1"], "f(0)", 2),
        ([ADD, "def test_add():\n    assert add(1, 1) == 3\n\ntest_add()"], "add(1, 1)", 2),
    ],
)
def test_a_program_in_several_blocks_is_put_together(parts: list[str], call: str, value: object) -> None:
    program = program_of("Then:\n".join(map(block, parts)))
    space: dict[str, object] = {}
    exec(program, space)
    assert eval(call, space) == value
    assert program.count("def f(") <= 1  # never two drafts of one function


@pytest.mark.parametrize(
    "lead",
    [
        "Don't write it like this:", "Do not do it this way:", "Never write this:", "Avoid this:", "A common mistake is:",
        "\u274c Wrong:",
        "## Wrong", "This would be wrong:", "The following version is incorrect:", "The naive version:", "Not like this:",
        "It adds. Beware of the buggy version:",
    ],
)  # fmt: skip
def test_a_wrong_version_shown_as_a_warning_is_not_the_program(lead: str) -> None:
    assert program_of(f"{block(ADD)}{lead}\n\n{block(WRONG)}") == ADD
    assert program_of(f"{lead}\n{block(WRONG.replace('add', 'add_up'))}The right one:\n{block(ADD)}") == ADD
    assert program_of(f"{lead}\n{block(WRONG)}") == WRONG  # there is no other


@pytest.mark.parametrize(
    "lead",
    [
        "Wait, that is wrong. The fixed version:", "This is wrong. Instead:", "Don't forget the sign:",
        "The version above is wrong:",
        "That was the wrong way, so:", "Oops, it should not be like that:", "Final version:", "Corrected:",
    ],
)  # fmt: skip
def test_a_corrected_version_is_the_program(lead: str) -> None:
    assert program_of(f"{block(WRONG)}{lead}\n{block(ADD)}") == ADD


BRIEF = "Be brief.\n\nBe kind."


@pytest.mark.parametrize(
    "lead",
    [
        "New prompt:\n",
        "New prompt: ",
        "**New prompt:**\n\n",
        "## Improved prompt\n",
        "Revised instructions:\n",
        "Sure! Here it is:\n\n",
        "",
    ],
)
@pytest.mark.parametrize(
    "tail",
    [
        "", "I made these changes: it is shorter.", "I've made the following changes:\n- shorter\n- kinder",
        "**Key changes:**\n1. shorter",
        "Changes made: shorter", "What changed:\n- the length", "---\n\nI made it shorter.",
        "---\n**Note:** I kept the wording.",
    ],
)  # fmt: skip
def test_what_stands_around_a_rewrite_without_fences_is_left_out(lead: str, tail: str) -> None:
    assert text_in(f"{lead}{BRIEF}\n\n{tail}") == (BRIEF, "")


@pytest.mark.parametrize(
    "reply",
    [
        f"Old prompt: Be long.\nNew prompt: {BRIEF}", f"I looked at the failures.\n\nNew prompt:\n{BRIEF}",
        f"I made these changes: shorter.\n\n{BRIEF}", f"{BRIEF}\n\nI made it shorter.", f"{BRIEF}\n\nThis version is shorter.",
        f"{BRIEF}\n\nExplanation: the old prompt was long.", f"{BRIEF}\n\nLet me know if the prompt needs adjusting.",
        f"{BRIEF}\n---\nNotes: end with a stop.",
    ],
)  # fmt: skip
def test_a_rewrite_that_cannot_be_told_from_what_stands_around_it_is_refused(reply: str) -> None:
    found = text_in(reply)
    assert found.value is None and "between fences" in found.problem


@pytest.mark.parametrize(
    "reply",
    [
        f"{BRIEF}\n\nNote: answer in one word.", f"{BRIEF}\n\n---\n\nQ: {{question}}", "Be brief.\n---\nBe kind.\n---\nBe good.",
        "Sort the mail.\n\nExample:\n\nI updated my address.\n\nAnswer: account\n\nReply with one word.",
        "Explanation: give the reasons.\n\nAnswer: the result.", "Rules:\nBe brief.", "Reply so:\nUpdated text: ...",
        "You are an editor.\nI made these changes to test you; list them.",
    ],
)  # fmt: skip
def test_what_belongs_to_a_rewrite_stays(reply: str) -> None:
    assert text_in(reply) == (reply, "")


def test_what_is_better_on_one_side_does_not_hide_what_is_better() -> None:
    assert choice_in("In terms of style, B is better. Overall A is better.").value == "A"
    assert choice_in("For style, A is better, but B is better overall.").value == "B"
