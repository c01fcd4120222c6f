import { styleText } from 'node:util';
import { isTerminal } from './output.ts';

type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Colours text for a terminal; leaves it alone in a file or a pipe, or where NO_COLOR is set. */
export function paint(colour: Colour, text: string): string {
  return isTerminal() && !process.env.NO_COLOR ? styleText(colour, text) : text;
}
