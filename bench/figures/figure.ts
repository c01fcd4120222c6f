// A figure that is not a comparison of a case's two sides.

export interface Figure {
  readonly name: string;
  /** What it is, in a few words. */
  readonly what: string;
  readonly value: number;
  readonly unit: 's' | 'ms' | 'bytes' | 'times';
  /** At most. */
  readonly aim?: number;
}

export function show({ value, unit }: Pick<Figure, 'value' | 'unit'>): string {
  const digits = unit === 'bytes' ? value.toFixed(Math.abs(value) < 10 ? 2 : 0) : value.toPrecision(3);
  return unit === 'times' ? digits : `${digits} ${unit}`;
}
