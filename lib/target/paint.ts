/** Colours. */
import { styleText } from 'node:util';
import type { Colour } from '../base/text.ts';
import { isTerminal } from './output.ts';

/** Colours text for a terminal; leaves it alone in a file or a pipe, or where NO_COLOR is set. */
export function paint(colour: Colour, text: string): string {
  return isTerminal() && !process.env.NO_COLOR ? styleText(colour, text) : text;
}
