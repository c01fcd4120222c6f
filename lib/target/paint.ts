/** Colours. */
import { styleText } from 'node:util';
import type { Colour } from '../base/text.ts';
import { isTerminal } from './output.ts';

let isForced = false;

/** Another process shows what this one writes, and does so at a terminal. */
export function paintForAnother(): void {
  isForced = true;
}

/** Colours text for a terminal; leaves it alone in a file or a pipe, or where NO_COLOR is set. */
export function paint(colour: Colour, text: string): string {
  return (isForced || isTerminal()) && !process.env.NO_COLOR ? styleText(colour, text) : text;
}
