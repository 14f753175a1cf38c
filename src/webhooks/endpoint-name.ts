/**
 * What an endpoint may be called, so that a routing rule can name it: 1 to 64 lower-case letters, digits, `-` and `_`,
 * the first a letter or a digit. `none` is what a rule says where nobody is told.
 */
export const ENDPOINT_NAME = /^(?!none$)[a-z0-9][a-z0-9_-]{0,63}$/;

export const ENDPOINT_NAME_RULE =
  'lower-case letters, digits, - and _, at most 64, the first a letter or a digit, and not `none`';
