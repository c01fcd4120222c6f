/**
 * The command and the public module as they are inside a lab machine: one CommonJS file with everything that a run
 * needs, since there opening files and compiling code is slow. The lab bundles it.
 */
import './run.ts';

export * as api from '../index.ts';
export { main } from './program.ts';
