/** What a review throws. What it finds out about a series is no error: that stands in its reply. */
import { PlainError } from '../base/errors.ts';

/** What was given to review is no series: no patch in it, no such file, two series in one mailbox. */
export class SeriesError extends PlainError {
  readonly code = 'ERR_REVIEW_SERIES';
  override readonly exitCode = 2;
}

/** The kernel that the series stands on does not build: nothing can be said of the series. */
export class ReviewBaseError extends PlainError {
  readonly code = 'ERR_REVIEW_BASE';
  override readonly exitCode = 3;
}
