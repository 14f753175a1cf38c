import type { XmlElement } from './metadata-xml.ts';

/**
 * What vendors add to an element, flat: `prefix:name` (or `name`) in lower case → text.
 */
export type Extensions = Readonly<Record<string, string>>;

const EXTENSIONS_MAX = 48;
export const EXTENSION_CHARACTERS_MAX = 512;
const DEPTH_MAX = 8;

/**
 * Lists the leaves below an element except below the children that the dialect knows. At most 48, those that
 * come first; a text longer than 512 characters is left out.
 *
 * @param known local names, in lower case, of children that are no extension
 */
export function listExtensions(
  element: XmlElement,
  known: ReadonlySet<string> = new Set(),
): readonly (readonly [key: string, text: string])[] {
  const found: [string, string][] = [];
  const visit = (node: XmlElement, depth: number): void => {
    for (const child of node.children) {
      if (found.length === EXTENSIONS_MAX) return;
      if (depth === 0 && known.has(child.name)) continue;
      // Where the choice is an element of its own (`<callType><origCall>…`), its name is the text.
      const text = child.name === 'calltype' && child.text === '' ? child.children[0]?.name : child.text;
      if (text !== undefined && text !== '' && text.length <= EXTENSION_CHARACTERS_MAX) {
        found.push([child.prefix === '' ? child.name : `${child.prefix}:${child.name}`, text]);
      }
      if (depth < DEPTH_MAX) visit(child, depth + 1);
    }
  };
  visit(element, 0);
  return found;
}

/** As a record, in which the first of a name counts. */
export function toExtensions(list: readonly (readonly [key: string, text: string])[]): Extensions {
  return Object.fromEntries(list.toReversed());
}

/** The text of the first extension of that local name, whatever its prefix. @param name in lower case */
export function extensionOf(extensions: Extensions, name: string): string | undefined {
  return Object.entries(extensions).find(([key]) => localName(key) === name)?.[1];
}

/** `ac:avayaucid` → `avayaucid` */
export function localName(key: string): string {
  return key.slice(key.indexOf(':') + 1);
}
