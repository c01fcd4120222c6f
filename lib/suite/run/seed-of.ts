/** A seed that a text and another seed give. */
export function seedOf(text: string, seed: number): number {
  let hash = seed >>> 0;
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x0100_0193) >>> 0;
  return hash;
}
