/** JavaScript that exports again what an object holds. */

/** @param from an expression: the object, or a module's namespace */
export function exportsText(names: readonly string[], from: string): string {
  const own = names.filter((name) => name !== 'default');
  const text = `export const { ${own.join(', ')} } = ${from};`;
  return own.length === names.length ? text : `${text} export default ${from}.default;`;
}
