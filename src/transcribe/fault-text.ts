import { DashScopeError } from '../dashscope/errors.ts';
import { toError } from '../errors.ts';

/**
 * One line for whoever named the file: what was wrong with it. Here the service's own words may stand, since nothing
 * of it is logged.
 */
export function faultText(path: string, thrown: unknown): string {
  const error = toError(thrown);
  const words = error instanceof DashScopeError ? error.dashscopeMessage : undefined;
  const text = words === undefined || words === '' ? error.message : `${error.message} (“${oneLine(words)}”)`;
  return text.startsWith(path) ? text : `${path}: ${text}`;
}

const oneLine = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
