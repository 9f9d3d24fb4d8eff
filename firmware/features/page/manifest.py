# The page for a phone and what leads there: GET /, and names on the access point. latchkey_tools.boards.page makes its
# bytes (page_gz), before an image is frozen.
package("latchkey", files=("api/page.py", "net/names.py"), base_path="../..")
package("latchkey", files=("api/page_gz.py",), base_path="../../../build/page")
