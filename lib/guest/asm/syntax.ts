/** What the parser makes of the text. */
import type { Place } from './error.ts';
import type { Register } from './registers.ts';

/** 16, 32 or 64: how the CPU reads the code. */
export type Bits = 16 | 32 | 64;

export type Expression = { readonly place: Place } & (
  | { readonly kind: 'number'; readonly value: bigint }
  | { readonly kind: 'string'; readonly bytes: Uint8Array }
  | { readonly kind: 'symbol'; readonly name: string }
  | { readonly kind: 'here' }
  | { readonly kind: 'start' }
  | { readonly kind: 'register'; readonly register: Register }
  | { readonly kind: 'unary'; readonly operator: string; readonly operand: Expression }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Expression; readonly right: Expression }
);

/** What an operand may say about itself before its value. Sizes are in bytes. */
export interface Qualifiers {
  readonly size?: number;
  readonly strict?: boolean;
  readonly distance?: 'short' | 'near' | 'far';
}

export type OperandSyntax = { readonly place: Place; readonly qualifiers: Qualifiers } & (
  | { readonly kind: 'plain'; readonly value: Expression }
  | { readonly kind: 'pointer'; readonly selector: Expression; readonly offset: Expression }
  | {
      readonly kind: 'memory';
      readonly address: Expression;
      readonly segment?: Register;
      /** `[dword x]`: 1, 2, 4 or 8. */
      readonly displacementSize?: number;
      /** `[a32 x]`. */
      readonly addressSize?: Bits;
      readonly relative: boolean;
      readonly nosplit: boolean;
    }
);

export interface Prefixes {
  readonly repeat?: 'rep' | 'repe' | 'repne';
  readonly lock?: boolean;
  readonly segment?: Register;
  readonly operandSize?: Bits;
  readonly addressSize?: Bits;
}

export interface InstructionSyntax {
  readonly kind: 'instruction';
  readonly mnemonic: string;
  readonly place: Place;
  readonly prefixes: Prefixes;
  readonly operands: readonly OperandSyntax[];
}

export type DataItem = { readonly place: Place } & (
  | { readonly kind: 'value'; readonly value: Expression }
  | { readonly kind: 'inlined'; readonly index: number }
);

export type Body =
  | InstructionSyntax
  | { readonly kind: 'data'; readonly unit: number; readonly items: readonly DataItem[] }
  | { readonly kind: 'reserve'; readonly unit: number; readonly count: Expression }
  | { readonly kind: 'align'; readonly to: Expression; readonly fill: Body }
  | { readonly kind: 'equ'; readonly value: Expression }
  | { readonly kind: 'inlined'; readonly index: number; readonly place: Place };

/** One line that says something. */
export interface Statement {
  readonly line: number;
  /** Where the statement begins, behind its label. */
  readonly place: Place;
  readonly bits: Bits;
  readonly label?: string;
  readonly times?: Expression;
  readonly body?: Body;
}

export interface Program {
  readonly statements: readonly Statement[];
  readonly symbols: ReadonlyMap<string, Place>;
  /** What `org` says. */
  readonly origin?: Expression;
}
