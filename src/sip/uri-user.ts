/** `sip:1001@example.com;user=phone` → `1001` */
export function userOf(uri: string): string {
  return uri.replace(/^(?:sips?|tel):/i, '').split(/[@;?]/, 1)[0] ?? '';
}
