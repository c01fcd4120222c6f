import type { Known } from './compare.ts';
export const known: readonly Known[] = [];
