/** Which of sorted numbers are seen: one for each pixel, however many there are. */

/** The first place whose number is not below `value`, from `low` on. */
export function firstFrom(sorted: ArrayLike<number>, value: number, low = 0, high = sorted.length): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (sorted[middle]! < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/**
 * Calls `draw` for the first number of each pixel that has one.
 *
 * @param x where a number stands, in pixels; rising
 * @param at what stands at a pixel
 */
export function perPixel(
  sorted: ArrayLike<number>,
  width: number,
  x: (value: number) => number,
  at: (pixel: number) => number,
  draw: (place: number, pixel: number) => void,
): void {
  let place = firstFrom(sorted, at(0));
  while (place < sorted.length) {
    const pixel = x(sorted[place]!);
    if (pixel > width) return;
    draw(place, pixel);
    // The next is near where there are few to a pixel: the search begins there.
    const wanted = at(Math.floor(pixel) + 1);
    let step = 1;
    while (place + step < sorted.length && sorted[place + step]! < wanted) step *= 2;
    place = firstFrom(
      sorted,
      wanted,
      place + (step >> 1) + (step === 1 ? 1 : 0),
      Math.min(sorted.length, place + step),
    );
  }
}
