// ReDoc on the document beside this page. Its style elements carry the nonce of this answer, which the policy names.
// Without its search: that would be a worker made of text, and the browser finds words in the page as well.
const place = document.getElementById('redoc');
const url = new URL('openapi.json', document.baseURI).href;
Redoc.init(url, { nonce: place.dataset.nonce, disableSearch: true, hideLoading: true }, place);
