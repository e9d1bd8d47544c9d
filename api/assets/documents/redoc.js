// ReDoc on the document beside this page. Without its search: that would be a worker made of text, and the browser finds
// words in the page as well.
const url = new URL('openapi.json', document.baseURI).href;
Redoc.init(url, { disableSearch: true, hideLoading: true }, document.getElementById('redoc'));
