// ReDoc stays as it was published. What the policy would refuse of it, and complain of, is settled before it runs.

// Its style elements carry the nonce of this answer, which the policy names.
const { nonce } = document.getElementById('redoc').dataset;
const { createElement } = Document.prototype;
Document.prototype.createElement = function create(...given) {
  const element = createElement.apply(this, given);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
};

// Its maker's logo, which lies on another host, is not asked for, nor any other image from elsewhere.
const isOurs = (address) => {
  const { protocol, origin } = new URL(address, document.baseURI);
  return protocol === 'data:' || origin === location.origin;
};
const images = HTMLImageElement.prototype;
const source = Object.getOwnPropertyDescriptor(images, 'src');
Object.defineProperty(images, 'src', {
  ...source,
  set(address) {
    if (isOurs(address)) source.set.call(this, address);
  },
});
images.setAttribute = function setAttribute(name, value) {
  if (name !== 'src' || isOurs(value)) Element.prototype.setAttribute.call(this, name, value);
};
