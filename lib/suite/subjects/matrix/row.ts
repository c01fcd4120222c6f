/** What a row of the matrix is: one piece of state that a kernel could look at. */
import type { Need } from '../../kit/needs.ts';
import type { Scene } from './scene.ts';

/** One piece of state in which a vCPU writes ICR2 and then ICR. */
export interface StateRow {
  /** Small letters, digits and hyphens; unique within its axis. */
  name: string;
  /** What is so then: a clause for documents and failures. */
  what: string;
  /** Where the state lives in the kernel, or what says what it means. */
  source: string;
  /** It is left out where one of these is missing, and the axis has a check of its own for such rows. */
  needs?: readonly Need[];
  /** Axes that it cannot be combined with, beside its own. */
  alone?: readonly string[];
  /** It leaves something behind that no ioctl takes away: it comes last on its machine, and is never drawn. */
  last?: boolean;
  /** Changes a scene, which is the plain one up to the rows before it. */
  apply(scene: Scene): void;
}

/** Rows of which a scene has one at most. */
export interface Axis {
  /** As a row's name. */
  name: string;
  /** What the rows vary: a clause. */
  title: string;
  rows: readonly StateRow[];
  /** It takes long, or leaves no room for others: of so many scenes that are drawn, one has a row of it. */
  rare?: number;
}

/** A row with its axis's name before it. */
export interface NamedStateRow extends StateRow {
  axis: string;
}

export const namedRows = ({ name, rows }: Axis): NamedStateRow[] => rows.map((row) => ({ ...row, axis: name }));
